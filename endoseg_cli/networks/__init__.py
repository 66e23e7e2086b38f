"""U-Nets and the corrective network: architecture, files, and what makes them ready to predict."""
