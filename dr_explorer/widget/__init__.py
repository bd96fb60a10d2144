"""The live view: the only rooms that know a notebook."""
