"""What tests of several folders build with."""
