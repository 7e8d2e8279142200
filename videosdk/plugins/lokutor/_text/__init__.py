"""From what a language model writes to the texts of requests. Pure."""
