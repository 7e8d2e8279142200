"""Everything that goes wrong: the table, what plays its faults, and the tests that hold the plugin to it."""
