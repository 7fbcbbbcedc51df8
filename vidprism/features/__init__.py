"""Frame features of a frozen backbone: `extract` makes them (heavy), `store` reads them (light)."""
