"""Real-time text from the exchange: T.140 in RTP (RFC 4103), with redundancy (RFC 2198)."""
