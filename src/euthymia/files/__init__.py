"""Files in and out: event tables, results, reports."""
