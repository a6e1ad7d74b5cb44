"""Tests of the wiring: settings, servers, processes, commands, admin."""
