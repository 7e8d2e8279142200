"""When a request is sent, and how much text it takes."""
