"""`python -m discomfort`: the command line, where `discomfort-graph` is not on the path."""

from discomfort.cli.main import main

if __name__ == "__main__":
    main()
