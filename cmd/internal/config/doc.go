// Package config turns flags, environment and file into the option structs of the three commands.
//
// Every option has one name, that of its flag. Where it comes from, strongest first: the flag (--bootstrap-expect 3), the
// environment (DFS_BOOTSTRAP_EXPECT=3), the file named by --config (bootstrap-expect: 3, YAML), the default. A name that
// nobody knows is an error wherever it stands: a misspelt option must not be silently without effect.
//
// Caveat: the environment is shared by the three commands, so a variable that is another command's option is accepted
// and ignored; a file belongs to one command.
package config
