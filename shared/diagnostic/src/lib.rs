//! A named source text, byte spans in it, labelled messages, and their renderings.
