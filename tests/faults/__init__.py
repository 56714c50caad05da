"""Faults on purpose: verbs × what a forward does × how it goes wrong, by a seed."""
