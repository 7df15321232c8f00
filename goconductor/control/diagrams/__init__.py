"""Diagrams of definitions and of sagas: as Mermaid for documents, as SVG for browsers."""
