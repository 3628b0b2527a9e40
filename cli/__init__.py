"""The command line: arguments in, calls of tasks, flows and services, tables or JSON out."""
