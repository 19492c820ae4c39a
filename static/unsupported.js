/*
 * For browsers that know no modules, and so run nothing else of the call page. ES5.
 */
document.getElementById('unsupported').hidden = false;
