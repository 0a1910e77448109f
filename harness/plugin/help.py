"""What `pytest scenarios --help` says above the harness's own options."""

# argparse prints a group's title as it stands, which it does with no other text of a group, and puts a colon behind.
TITLE = """afterfault: deploy tooling under documented bad days
  pytest scenarios                                      the default selection
  pytest scenarios -m slow                              what it leaves out; -m '' everything
  pytest scenarios -k incident-3 -v                     cases by a part of their name; -v tells every step
  pytest scenarios --case rolling_replacement/incident/3-relaxed --keep
                                                        one case, its cluster left up
  pytest scenarios --replace-command ./replace-node.sh  your own tool under test
  pytest scenarios --require docker,kind --run-dir runs/night-1
                                                        in CI: what is missing is an error
 exit codes: 0 all as expected, 1 a guarantee is broken or a known defect changed, 2 wrong usage (4 an option that
 pytest does not know), 3 inconclusive, a problem of the harness or nothing ran, 4 this machine can't run it
 docs/architecture.md has all options in short
options"""
