"""The record of a clinic as a service: store, audit, backups, accounts, guards, live pages."""
