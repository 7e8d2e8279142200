"""Holds a service against what this plugin takes for granted, fact by fact."""
