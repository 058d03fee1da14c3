"""SIP telephones: SIPp and our own handset."""
