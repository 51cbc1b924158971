"""The tests: one folder per row of the package, real parts, any order."""
