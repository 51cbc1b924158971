"""Measure backups and restores beside the same work done in other ways: `make bench SIZE=100m`."""
