"""The server: receives spans, keeps them, groups them into sessions and answers questions about those."""
