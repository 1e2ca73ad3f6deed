"""Keys: how they are made and taken back at Salto, and the record of them that outlives all."""
