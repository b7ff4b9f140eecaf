/** The version of this package: of a state that is handed from one build to another, and of the command. */
export const VERSION = '0.1.0';
