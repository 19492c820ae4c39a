//! The memory that this process may use: the least of its control groups' limits, its address-space
//! limit and the machine's memory.
//!
//! Linux reports them in files, which are read below a root that tests choose. Other systems report
//! none, and there is no limit.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A limit, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) bytes: usize,
    pub(crate) source: Source,
}

/// The source of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A control group's, with the file that holds it.
    ControlGroup(PathBuf),
    AddressSpace,
    Machine,
}

/// The least that is found below `root`, which is `/` but for tests.
pub(crate) fn least(root: &Path) -> Option<Found> {
    let (groups, space, machine) = (control_groups(root), address_space(root), machine(root));
    groups.into_iter().chain(space).chain(machine).min_by_key(|found| found.bytes)
}

fn machine(root: &Path) -> Option<Found> {
    let kib: usize = value_of(&read(root, "/proc/meminfo")?, "MemTotal:")?.parse().ok()?;
    Some(Found { bytes: kib.saturating_mul(1024), source: Source::Machine })
}

fn address_space(root: &Path) -> Option<Found> {
    // The soft limit, or `unlimited`.
    let bytes = value_of(&read(root, "/proc/self/limits")?, "Max address space")?.parse().ok()?;
    Some(Found { bytes, source: Source::AddressSpace })
}

/// The first word behind `name` at the beginning of a line.
fn value_of(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// The limits of this process's groups and of all their ancestors that it can see: a limit anywhere
/// above counts.
fn control_groups(root: &Path) -> Vec<Found> {
    let (Some(groups), Some(mounts)) =
        (read(root, "/proc/self/cgroup"), read(root, "/proc/self/mountinfo"))
    else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for mount in mounts.lines().filter_map(Mount::parse) {
        // `4:memory:/path` in version 1, `0::/path` in version 2.
        let group = groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let is_it = if mount.is_v2 {
                controllers.is_empty()
            } else {
                controllers.split(',').any(|it| it == "memory")
            };
            is_it.then_some(path)
        });
        let Some(group) = group else { continue };
        // A container sees a part of the tree, mounted elsewhere; a group beyond that part stands
        // for its top.
        let below = Path::new(group).strip_prefix(&mount.root).unwrap_or(Path::new(""));
        let file = if mount.is_v2 { "memory.max" } else { "memory.limit_in_bytes" };
        for group in below.ancestors() {
            let path = mount.point.join(group).join(file);
            // `max` is no limit.
            if let Some(bytes) = read(root, &path).and_then(|text| text.trim().parse().ok()) {
                found.push(Found { bytes, source: Source::ControlGroup(path) });
            }
        }
    }
    found
}

/// The mount point of a tree of control groups with memory limits, and the mounted part of it.
struct Mount {
    is_v2: bool,
    root: PathBuf,
    point: PathBuf,
}

impl Mount {
    /// A line of `/proc/self/mountinfo` (proc(5)): `36 35 0:32 /root /mount/point options… - type
    /// source options`.
    fn parse(line: &str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let (name, options) = (kind.next()?, kind.nth(1)?);
        let is_v2 = name == "cgroup2";
        let is_v1 = name == "cgroup" && options.split(',').any(|option| option == "memory");
        if !is_v1 && !is_v2 {
            return None;
        }
        let mut place = place.split(' ').skip(3);
        Some(Self { is_v2, root: place.next()?.into(), point: place.next()?.into() })
    }
}

fn read(root: &Path, path: impl AsRef<Path>) -> Option<String> {
    let path = path.as_ref();
    fs::read_to_string(root.join(path.strip_prefix("/").unwrap_or(path))).ok()
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ControlGroup(path) => {
                write!(f, "half of the control group's limit ({})", path.display())
            }
            Self::AddressSpace => f.write_str("half of the address-space limit (`ulimit -v`)"),
            Self::Machine => f.write_str("half of the machine's memory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const GIB: usize = 1 << 30;

    /// A root with these files, which goes when it is dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn of(files: &[(&str, &str)]) -> Self {
            static COUNT: AtomicUsize = AtomicUsize::new(0);
            let name = format!(
                "sockeye-memory-{}-{}",
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            );
            let root = std::env::temp_dir().join(name);
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().expect("it is below the root"))
                    .expect("a directory");
                fs::write(path, text).expect("a file");
            }
            Self(root)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const MEMINFO: (&str, &str) =
        ("proc/meminfo", "MemTotal:        8388608 kB\nMemFree:         1000 kB\n");
    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
                          Max cpu time              unlimited            unlimited            seconds   \n";
    const V2: (&str, &str) = (
        "proc/self/mountinfo",
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
    );

    #[test]
    fn without_limits_it_is_the_machine() {
        let unlimited = format!(
            "{LIMITS}Max address space         unlimited            unlimited            bytes     \n"
        );
        let tree = Tree::of(&[MEMINFO, ("proc/self/limits", &unlimited)]);
        assert_eq!(least(&tree.0), Some(Found { bytes: 8 * GIB, source: Source::Machine }));
        assert_eq!(least(&Tree::of(&[]).0), None, "no such system");
    }

    #[test]
    fn the_address_space_may_be_the_least() {
        let limited = format!(
            "{LIMITS}Max address space         1610612736           unlimited            bytes     \n"
        );
        let tree = Tree::of(&[MEMINFO, ("proc/self/limits", &limited)]);
        assert_eq!(
            least(&tree.0),
            Some(Found { bytes: 1_610_612_736, source: Source::AddressSpace })
        );
    }

    #[test]
    fn an_ancestor_of_the_group_may_be_the_least() {
        let group = "sys/fs/cgroup/system.slice";
        let tree = Tree::of(&[
            MEMINFO,
            V2,
            ("proc/self/cgroup", "0::/system.slice/sockeye.service\n"),
            (&format!("{group}/memory.max"), "1073741824\n"),
            (&format!("{group}/sockeye.service/memory.max"), "max\n"),
        ]);
        let source = Source::ControlGroup(format!("/{group}/memory.max").into());
        assert_eq!(least(&tree.0), Some(Found { bytes: GIB, source }));
    }

    /// In a container the mounted part begins at the container's own group, whose path is another
    /// one outside.
    #[test]
    fn a_container_sees_the_top_of_its_part() {
        let mounts = "40 30 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        for group in ["0::/docker/abc\n", "0::/\n"] {
            let tree = Tree::of(&[
                MEMINFO,
                ("proc/self/mountinfo", mounts),
                ("proc/self/cgroup", group),
                ("sys/fs/cgroup/memory.max", "536870912\n"),
            ]);
            assert_eq!(least(&tree.0).map(|found| found.bytes), Some(GIB / 2), "{group}");
        }
    }

    #[test]
    fn version_1_has_a_tree_for_memory() {
        let tree = Tree::of(&[
            MEMINFO,
            (
                "proc/self/mountinfo",
                "33 25 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                 34 25 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
            ),
            ("proc/self/cgroup", "5:cpu:/elsewhere\n4:memory:/a/b\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "2147483648\n"),
            ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(least(&tree.0).map(|found| found.bytes), Some(2 * GIB));
    }
}
