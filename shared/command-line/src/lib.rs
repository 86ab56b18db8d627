//! The commands that messages tell people to type: complete, with the repository they are about, and quoted so that a shell
//! reads back exactly what is meant. How somebody shows themselves to a server is their own affair and stands in none.

mod command_lines;
mod quote;

pub use command_lines::CommandLines;
pub use quote::quoted;
