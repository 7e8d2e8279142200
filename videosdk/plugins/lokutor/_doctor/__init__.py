"""Finds what keeps a deployment from speaking, before a caller does."""
