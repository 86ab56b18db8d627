//! One try of one check against one address, told as a typed observation.
