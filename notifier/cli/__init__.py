"""The front door: one module per command group, no decisions. Commands call `app`, print, and give an exit code."""
