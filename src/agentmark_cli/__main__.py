"""`python -m agentmark_cli` is `agentmark`."""

from agentmark_cli import main

main()
