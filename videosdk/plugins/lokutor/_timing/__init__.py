"""What is said when in a reply, and telling it when it is heard."""
