"""varshift inside other people's training loops; nothing here is imported by the package itself."""
