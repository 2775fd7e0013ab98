//! Archives made byte by byte, so that whatever a hostile one may say can be said; and what is compared to see that nothing
//! of it got out.

pub mod generated;
pub mod guard;
pub mod hostile;
pub mod tar;
pub mod zip;
