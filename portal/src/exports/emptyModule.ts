/** Stands for packages that a library names and that the portal has no use for. */
export default null;
