"""`python -m analyzer_agent`: the same as the command `analyzer-agent`."""

from analyzer_agent.cli import main

if __name__ == "__main__":
    main(prog_name="analyzer-agent")
