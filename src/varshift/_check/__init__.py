"""The verb `check`: what shifts the variance by more than is allowed, with codes and fixes."""
