"""Home Assistant side: the real integration, in a real Home Assistant, against the simulator."""
