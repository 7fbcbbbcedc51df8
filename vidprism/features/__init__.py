"""Frame features of a frozen backbone: `extract` computes them (heavy), `store` reads them (light)."""
