//! What the files of this tree say of each other: which uses which, and which repeats which.

mod architecture;
mod circles;
mod readme;
