"""What the parts of the bench share: measuring, rounds, hosts, results. Standard library only."""
