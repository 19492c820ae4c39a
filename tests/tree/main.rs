//! What the files of this tree say of each other: which uses which, and which tells of which.

mod architecture;
mod circles;
mod pages;
