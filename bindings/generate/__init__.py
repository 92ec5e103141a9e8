"""Writes the faces of the bindings from `bindings/api.json`: `python3 -m generate` in `bindings`, `--check` to compare only."""
