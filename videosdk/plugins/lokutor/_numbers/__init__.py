"""Numbers, prices and units in the words of the caller's language."""
