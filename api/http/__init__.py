"""HTTP: headers, size limits, query parameters, problem documents."""
