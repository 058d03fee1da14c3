"""HTTP itself: headers, limits of size, parameters, problem documents."""
