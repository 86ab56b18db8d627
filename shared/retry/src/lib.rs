//! A retry policy, its pure schedule, and the loop that obeys it.
