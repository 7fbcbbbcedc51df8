"""What several methods are made of: layers, adapters, texts, and regressions."""
