"""A real Asterisk with real SIP telephones, for `make demo` and the tests."""
