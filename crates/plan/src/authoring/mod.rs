//! What is needed for plans that people write.

mod diagnostic;
mod load;
mod render;
mod rules;
mod schema;
mod structure;
mod yaml;

pub use diagnostic::{Diagnostic, Severity};
pub use load::{Loaded, MAX_FILE_BYTES, load};
pub use render::render;
pub use schema::schema;
