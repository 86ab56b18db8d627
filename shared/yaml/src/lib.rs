//! YAML text to a tree with places, and the decoder that collects every problem.
