"""Who answers a phase: behavioral, ngspice, paired, scripted; found by name through the registry."""
