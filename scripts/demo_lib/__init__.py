"""The demo: a simulated Salto KS site and a real Home Assistant beside it, set up over HTTP."""
